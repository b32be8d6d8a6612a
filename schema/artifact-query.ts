/** Which artifacts a person or a script means by a text. */

/** `*` is any text, also over `/`; nothing else is special. */
export function matchesQuery(path: string, query: string): boolean {
  const [first = '', ...rest] = query.split('*')
  if (rest.length === 0) return path === query
  const last = rest.pop() ?? ''
  if (!path.startsWith(first) || path.length < first.length + last.length || !path.endsWith(last)) return false
  let at = first.length
  for (const part of rest) {
    const found = path.indexOf(part, at)
    if (found < 0 || found + part.length > path.length - last.length) return false
    at = found + part.length
  }
  return true
}
