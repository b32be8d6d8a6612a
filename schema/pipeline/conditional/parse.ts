/**
 * From words to a tree. From loose to tight: `? :`, `||`, `&&`, comparisons, `!`. A `!` is tighter than `==`, so
 * `!a == b` compares `!a`; but a negated list says nothing, so `!a includes b` is read as `!(a includes b)`, which is how
 * pipelines in the wild mean it.
 */
import type { Budget } from './budget.ts'
import type { Comparator, Expression } from './expression.ts'
import { CONDITIONAL_LIMITS } from './limits.ts'
import { across, Mistaken, quoted, type Span } from './mistaken.ts'
import { compilePattern } from './pattern.ts'
import { type Sign, type Token, tokensOf } from './tokens.ts'

/** Null: there is nothing but blanks. */
export function parse(text: string, budget: Budget): Expression | null {
  if (text.trim() === '') return null
  const parser = new Parser(tokensOf(text), budget)
  const expression = parser.choice()
  parser.end()
  return expression
}

const COMPARATORS: ReadonlySet<string> = new Set<Comparator>(['==', '!=', '=~', '!~', 'includes'])

class Parser {
  readonly #tokens: readonly Token[]
  #index = 0
  #depth = 0
  readonly #budget: Budget

  constructor(tokens: readonly Token[], budget: Budget) {
    this.#tokens = tokens
    this.#budget = budget
  }

  end(): void {
    const token = this.#next
    if (token.kind !== 'end') throw new Mistaken('parse', token, `the condition is over before ${described(token)}; put "&&" or "||" between two conditions.`)
  }

  choice(): Expression {
    const condition = this.#row('any', '||', () => this.#row('all', '&&', () => this.#comparison()))
    if (!this.#takeSign('?')) return condition
    return this.#nested(condition, () => {
      const chosen = this.choice()
      this.#expect(':', 'between both sides of a choice')
      const otherwise = this.choice()
      return { kind: 'choice', condition, chosen, otherwise, ...across(condition, otherwise) }
    })
  }

  #row(kind: 'any' | 'all', sign: Sign, operand: () => Expression): Expression {
    const first = operand()
    const operands = [first]
    let last = first
    while (this.#takeSign(sign)) {
      last = operand()
      operands.push(last)
    }
    return operands.length === 1 ? first : { kind, operands, ...across(first, last) }
  }

  #comparison(): Expression {
    let left = this.#negation()
    for (let count = 1; ; count += 1) {
      const token = this.#next
      const comparator = this.#takeComparator()
      if (comparator === null) return left
      if (count > CONDITIONAL_LIMITS.chain) throw new Mistaken('parse', token, `more than ${CONDITIONAL_LIMITS.chain} comparisons stand in a row; put "&&" or "||" between them.`)
      const right = this.#negation()
      left = { kind: 'comparison', comparator, left, right, ...across(left, right) }
    }
  }

  #negation(): Expression {
    const token = this.#next
    if (!this.#takeSign('!')) return this.#operand()
    return this.#nested(token, () => {
      let operand = this.#negation()
      if (this.#takeSign('includes')) {
        const right = this.#negation()
        operand = { kind: 'comparison', comparator: 'includes', left: operand, right, ...across(operand, right) }
      }
      return { kind: 'not', operand, ...across(token, operand) }
    })
  }

  #operand(): Expression {
    const token = this.#next
    this.#index += 1
    const { at, length } = token
    switch (token.kind) {
      case 'integer':
      case 'text':
      case 'template':
        return token
      case 'variable':
        return { kind: 'shell', variable: token.variable, at, length }
      case 'pattern':
        return this.#pattern(token.source, token.flags, { at, length })
      case 'name':
        return this.#name(token.name, { at, length })
      case 'sign':
        if (token.sign === '(') return this.#parentheses(token)
        if (token.sign === '[') return this.#nested(token, () => ({ kind: 'list', ...this.#operands(token, ']') }))
        break
      case 'end':
        break
    }
    throw new Mistaken('parse', token, `a value is missing before ${described(token)}; there are names such as build.branch, texts in quotes, numbers, true, false, null, /expressions/ and [lists].`)
  }

  #name(name: string, where: Span): Expression {
    if (name === 'null') return { kind: 'null', ...where }
    if (name === 'true' || name === 'false') return { kind: 'boolean', value: name === 'true', ...where }
    if (!this.#takeSign('(')) return { kind: 'name', name, ...where }
    return this.#nested(where, () => ({ kind: 'call', name, ...this.#operands(where, ')') }))
  }

  #parentheses(open: Token): Expression {
    return this.#nested(open, () => {
      const inner = this.choice()
      this.#expect(')', 'to close what was opened')
      return inner
    })
  }

  /** Separated by commas, behind what opened them; `begin` is where the whole begins. */
  #operands(begin: Span, close: ')' | ']'): Span & { readonly operands: readonly Expression[] } {
    const operands: Expression[] = []
    let end = this.#next
    if (!this.#takeSign(close)) {
      do operands.push(this.choice())
      while (this.#takeSign(','))
      end = this.#next
      this.#expect(close, 'or a comma')
    }
    return { operands, ...across(begin, end) }
  }

  #pattern(source: string, flags: string, where: Span): Expression {
    const answer = compilePattern(source, flags, this.#budget)
    if (!answer.ok) throw new Mistaken('parse', where, answer.message)
    return { kind: 'pattern', pattern: answer.pattern, ...where }
  }

  #nested(where: Span, read: () => Expression): Expression {
    this.#depth += 1
    if (this.#depth > CONDITIONAL_LIMITS.depth) throw new Mistaken('parse', where, `a condition nests at most ${CONDITIONAL_LIMITS.depth} deep.`)
    const expression = read()
    this.#depth -= 1
    return expression
  }

  get #next(): Token {
    const token = this.#tokens[this.#index] ?? this.#tokens.at(-1)
    if (token === undefined) throw new RangeError('there is always a last token')
    return token
  }

  #takeSign(sign: Sign): boolean {
    const token = this.#next
    const isIt = token.kind === 'sign' && token.sign === sign
    if (isIt) this.#index += 1
    return isIt
  }

  #takeComparator(): Comparator | null {
    const token = this.#next
    if (token.kind !== 'sign' || !COMPARATORS.has(token.sign)) return null
    this.#index += 1
    return token.sign as Comparator // It is in the set of them.
  }

  #expect(sign: Sign, purpose: string): void {
    const token = this.#next
    if (!this.#takeSign(sign)) throw new Mistaken('parse', token, `"${sign}" is missing before ${described(token)}, ${purpose}.`)
  }
}

function described(token: Token): string {
  switch (token.kind) {
    case 'sign':
      return `"${token.sign}"`
    case 'name':
      return quoted(token.name)
    case 'integer':
      return `${token.value}`
    case 'text':
    case 'template':
      return quoted(token.text)
    case 'variable':
      return 'this variable'
    case 'pattern':
      return 'this regular expression'
    case 'end':
      return 'its end'
  }
  return token satisfies never
}
