/** What has been spent on deciding, so that it can be bounded: over one condition, or over all that are decided together. */
export class Effort {
  /** Instructions times characters that regular expressions were held against. */
  matching = 0
  /** Of the values of variables that were asked for. */
  characters = 0
}
