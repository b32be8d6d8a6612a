/** What becomes of the messages of one machine: lost, doubled, late, cut, answered by a stranger, or none of it. */

export interface Link {
  requests: 'pass' | 'lost'
  replies: 'pass' | 'lost'
  /** Shares of messages. */
  lose: number
  double: number
  late: number
  /** Bodies that end before their end. */
  cut: number
  /** Answers of a proxy, a hotel or a broken server in the coordinator's place. */
  strange: number
  /** Fields and directives of a later version. */
  newer: number
  lateMs: number
  /** Rings that get lost. */
  deafness: number
}

export const GOOD_LINK: Link = { requests: 'pass', replies: 'pass', lose: 0, double: 0, late: 0, cut: 0, strange: 0, newer: 0, lateMs: 0, deafness: 0 }
