/** Text that may be anything, on either side: what is no JSON is `undefined`, which fits no shape and is no JSON value itself. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
