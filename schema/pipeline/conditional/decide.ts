/**
 * The value of a condition. `&&`, `||` and `? :` look only at what they need, so a mistake that is not reached is none.
 * A condition that `check.ts` let through can still fail here: a variable is missing, or a value would take too long to match.
 */
import type { Budget } from './budget.ts'
import type { Context } from './context.ts'
import { environmentOf, isHidden } from './environment.ts'
import { expand, expandVariable, type Lookup } from './expand.ts'
import type { Expression } from './expression.ts'
import { Mistaken, quoted, type Span } from './mistaken.ts'
import { matches, type Pattern } from './pattern.ts'
import { STEP_VARIABLES, VARIABLES } from './variables.ts'

export type Value = null | boolean | bigint | string | Pattern | readonly Value[]

export function valueOf(expression: Expression, context: Context, budget: Budget): Value {
  return new Decision(context, budget).value(expression)
}

class Decision {
  readonly #context: Context
  readonly #environment: Lookup
  readonly #budget: Budget

  constructor(context: Context, budget: Budget) {
    this.#context = context
    this.#budget = budget
    this.#environment = environmentOf(context)
  }

  value(expression: Expression): Value {
    switch (expression.kind) {
      case 'null':
        return null
      case 'boolean':
      case 'integer':
        return expression.value
      case 'text':
        return expression.text
      case 'template':
        return expand(expression.template, this.#lookupFor(expression), expression)
      case 'shell':
        return expandVariable(expression.variable, this.#lookupFor(expression), expression)
      case 'pattern':
        return expression.pattern
      case 'name':
        return this.#variable(expression.name)
      case 'call':
        return this.#call(expression)
      case 'list':
        return expression.operands.map((operand) => this.value(operand))
      case 'not':
        return !isTrue(this.value(expression.operand))
      case 'all':
      case 'any':
        return this.#row(expression)
      case 'comparison':
        return this.#comparison(expression)
      case 'choice':
        return this.value(isTrue(this.value(expression.condition)) ? expression.chosen : expression.otherwise)
    }
    return expression satisfies never
  }

  #row({ kind, operands }: Expression & { readonly kind: 'all' | 'any' }): Value {
    let value: Value = null
    for (const operand of operands) {
      value = this.value(operand)
      if (isTrue(value) === (kind === 'any')) return value
    }
    return value
  }

  #variable(name: string): Value {
    const value = (VARIABLES.get(name) ?? STEP_VARIABLES.get(name))?.of(this.#context) ?? null
    return typeof value === 'number' ? BigInt(value) : value
  }

  #call({ name, operands, ...where }: Expression & { readonly kind: 'call' }): Value {
    const asked = operands[0] === undefined ? null : this.value(operands[0])
    if (typeof asked !== 'string' || asked === '') throw new Mistaken('evaluation', where, `${name} is asked by the name of a variable, but it was given ${asked === null ? 'null' : 'an empty text'}.`)
    if (isHidden(asked, { isWritten: false })) throw new Mistaken('evaluation', where, `a condition cannot see ${quoted(asked)}, which only a running job has.`)
    return this.#lookupFor(where)(asked) ?? (name === 'env' ? '' : null)
  }

  #lookupFor(where: Span): Lookup {
    return (name) => {
      const value = this.#environment(name)
      if (!this.#budget.spend('characters', value?.length ?? 0)) throw new Mistaken('evaluation', where, `the variables that are asked for here are too long together; ask for ${quoted(name)} less often, or for less of it.`)
      return value
    }
  }

  #comparison({ comparator, left, right, ...where }: Expression & { readonly kind: 'comparison' }): boolean {
    const [first, second] = [this.value(left), this.value(right)]
    switch (comparator) {
      case '==':
        return isSame(first, second)
      case '!=':
        return !isSame(first, second)
      case '=~':
      case '!~':
        if (!isPattern(second)) throw new Mistaken('evaluation', right, `a regular expression is expected right of "${comparator}", not ${shown(second)}.`)
        return this.#matches(second, first, left) === (comparator === '=~')
      case 'includes':
        return this.#includes(first, second, where)
    }
    return comparator satisfies never
  }

  /** Nothing is not among anything, and nothing is among nothing. */
  #includes(list: Value, wanted: Value, where: Span): boolean {
    if (list === null || wanted === null) return false
    if (!isList(list)) throw new Mistaken('evaluation', where, `a list is expected left of "includes", not ${shown(list)}.`)
    return list.some((one) => {
      if (typeof one !== 'string') throw new Mistaken('evaluation', where, `this list has ${shown(one)} among its texts; a variable that is not set needs a default: "\${NAME:-…}".`)
      return isPattern(wanted) ? this.#matches(wanted, one, where) : isSame(one, wanted)
    })
  }

  #matches(pattern: Pattern, text: Value, where: Span): boolean {
    if (text === null) return false
    if (typeof text !== 'string') throw new Mistaken('evaluation', where, `only a text can match a regular expression, not ${shown(text)}.`)
    if (!this.#budget.spend('matching', pattern.size * (text.length + 1))) throw new Mistaken('evaluation', where, 'there is too much to match here; match less, or with smaller regular expressions.')
    return matches(pattern, text)
  }
}

/** Null is false; all else that is no boolean would be true, but `check.ts` lets none of it come here. */
function isTrue(value: Value): boolean {
  return value !== false && value !== null
}

function isSame(left: Value, right: Value): boolean {
  if (isList(left) && isList(right)) return left.length === right.length && left.every((one, index) => isSame(one, right[index] ?? null))
  if (isPattern(left) && isPattern(right)) return left.source === right.source && left.flags === right.flags
  return left === right
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function isPattern(value: Value): value is Pattern {
  return typeof value === 'object' && value !== null && !isList(value)
}

function shown(value: Value): string {
  if (isList(value)) return 'a list'
  if (isPattern(value)) return 'a regular expression'
  return typeof value === 'string' ? quoted(value) : `${value}`
}
