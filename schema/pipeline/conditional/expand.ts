/** What becomes of variables as a shell writes them, given their values. */
import { Mistaken, quoted, type Span } from './mistaken.ts'
import type { Template, Variable, Wrong } from './template.ts'

/** The value of a variable; null: not set. */
export type Lookup = (name: string) => string | null

/** Of one that stands alone: null when it is not set. `where` is blamed for what is wrong. */
export function expandVariable(part: Variable | Wrong, lookup: Lookup, where: Span): string | null {
  if (part.kind === 'wrong') throw new Mistaken('evaluation', where, `${part.message}.`)
  const { name, operation } = part
  switch (operation.kind) {
    case 'value': {
      const value = lookup(name)
      return operation.suffix === '' ? value : (value ?? '') + operation.suffix
    }
    case 'part': {
      const offset = wholeNumber(operation.offset, lookup, where)
      const value = lookup(name)
      return value === null ? null : partOf([...value], offset, operation.count === null ? null : wholeNumber(operation.count, lookup, where))
    }
    case 'otherwise':
    case 'instead':
    case 'required': {
      const value = lookup(name)
      const isSet = value !== null && !(operation.countsEmpty && value === '')
      if (operation.kind === 'instead') return isSet ? expand(operation.template, lookup, where) : ''
      if (isSet) return value
      if (operation.kind === 'otherwise') return expand(operation.template, lookup, where)
      throw new Mistaken('evaluation', where, `the variable ${quoted(name)} is not set${operation.countsEmpty ? ' or is empty' : ''}; set it, or give it a default: "\${NAME:-…}".`)
    }
  }
  return operation satisfies never
}

/** Of a text; a variable that is not set is nothing in it. */
export function expand(template: Template, lookup: Lookup, where: Span): string {
  let out = ''
  for (const part of template) out += part.kind === 'text' ? part.text : (expandVariable(part, lookup, where) ?? '')
  return out
}

function wholeNumber(template: Template, lookup: Lookup, where: Span): number {
  const text = expand(template, lookup, where).trim()
  if (!/^-?\d{1,15}$/.test(text)) throw new Mistaken('evaluation', where, `a part of a variable is \${NAME:offset} or \${NAME:offset:count}, whole numbers, not ${quoted(text)}.`)
  return Number(text)
}

/** Negative numbers count from the end; there is never more than there is. */
function partOf(characters: readonly string[], offset: number, count: number | null): string {
  const from = Math.min(characters.length, Math.max(0, offset < 0 ? characters.length + offset : offset))
  if (count === null) return characters.slice(from).join('')
  const to = count < 0 ? characters.length + count : from + count
  return characters.slice(from, Math.max(from, to)).join('')
}
