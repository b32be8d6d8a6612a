/**
 * Whether a condition makes sense whatever the values are: its names are known and what it compares can be compared.
 * Null goes with everything, and a value that may only be one of some is held against texts that are among them.
 */
import { nearest } from '../../nearest.ts'
import { BUILDKITE_NAMES, isHidden } from './environment.ts'
import type { Expression } from './expression.ts'
import { Mistaken, quoted } from './mistaken.ts'
import { STEP_VARIABLES, VARIABLES } from './variables.ts'

interface Type {
  readonly kind: 'null' | 'boolean' | 'integer' | 'text' | 'pattern' | 'list'
  /** All that a text may be; one that may be anything has none. */
  readonly choices?: readonly string[] | undefined
}

const SHOWN: Readonly<Record<Type['kind'], string>> = { null: 'null', boolean: 'true or false', integer: 'a number', text: 'a text', pattern: 'a regular expression', list: 'a list of texts' }

/** Throws when it does not; `stepVariables`: it is of a notification of a step. */
export function check(expression: Expression, { stepVariables }: { readonly stepVariables: boolean }): void {
  const { kind } = new Check(stepVariables).typeOf(expression)
  if (kind !== 'boolean') throw new Mistaken('result', expression, `a condition is true or false, but this is ${SHOWN[kind]}; compare it with something, as in "… != null".`)
}

/** Which differ in what a variable that is not set is: an empty text, or null. */
const FUNCTIONS: ReadonlySet<string> = new Set(['env', 'build.env'])

class Check {
  readonly #stepVariables: boolean

  constructor(stepVariables: boolean) {
    this.#stepVariables = stepVariables
  }

  typeOf(expression: Expression): Type {
    switch (expression.kind) {
      case 'null':
      case 'boolean':
      case 'integer':
      case 'text':
      case 'pattern':
        return { kind: expression.kind }
      case 'template':
      case 'shell':
        return { kind: 'text' }
      case 'name':
        return this.#variable(expression)
      case 'call':
        return this.#call(expression)
      case 'list':
        for (const operand of expression.operands) this.#expect(operand, ['text'], 'within a list')
        return { kind: 'list' }
      case 'not':
        return this.#expect(expression.operand, ['boolean'], 'behind "!"')
      case 'all':
      case 'any':
        for (const operand of expression.operands) this.#expect(operand, ['boolean'], `beside "${expression.kind === 'all' ? '&&' : '||'}"`)
        return { kind: 'boolean' }
      case 'comparison':
        return this.#comparison(expression)
      case 'choice':
        this.#expect(expression.condition, ['boolean'], 'before "?"')
        return this.#alike(expression.chosen, expression.otherwise, 'on both sides of ":"')
    }
    return expression satisfies never
  }

  #comparison({ comparator, left, right }: Expression & { readonly kind: 'comparison' }): Type {
    switch (comparator) {
      case '=~':
      case '!~':
        this.#expect(left, ['text', 'null'], `left of "${comparator}"`)
        this.#expect(right, ['pattern'], `right of "${comparator}"`)
        break
      case 'includes':
        this.#expect(left, ['list', 'null'], 'left of "includes"')
        this.#expect(right, ['text', 'pattern', 'null'], 'right of "includes"')
        break
      case '==':
      case '!=':
        this.#alike(left, right, `on both sides of "${comparator}"`)
        break
    }
    return { kind: 'boolean' }
  }

  /** One that may only be some texts is none of `kinds`: it is not searched, only compared. */
  #expect(expression: Expression, kinds: readonly Type['kind'][], place: string): Type {
    const type = this.typeOf(expression)
    if (type.choices === undefined && kinds.includes(type.kind)) return type
    throw new Mistaken('validation', expression, `${kinds.map((kind) => SHOWN[kind]).join(' or ')} is expected ${place}, not ${shown(type)}${type.choices === undefined ? '' : '; compare it with "==" or "!="'}.`)
  }

  #alike(left: Expression, right: Expression, place: string): Type {
    const [first, second] = [this.typeOf(left), this.typeOf(right)]
    if (first.kind === 'null') return second
    if (second.kind === 'null') return first
    if (first.kind !== second.kind) throw new Mistaken('validation', right, `${shown(first)} is expected ${place}, not ${shown(second)}.`)
    // What may only be some texts stands on the left, where its name says what those are.
    if (second.choices !== undefined) throw new Mistaken('validation', right, `${shown(second)} stands on the left of what it is compared with; exchange both sides.`)
    const text = staticText(right)
    if (first.choices !== undefined && text !== null && !first.choices.includes(text)) {
      const close = nearest(text, first.choices)
      const name = left.kind === 'name' ? left.name : 'what it is compared with'
      throw new Mistaken('validation', right, `${name} is never ${quoted(text)}; ${close === null ? `it is ${first.choices.join(', ')}` : `did you mean "${close}"?`}${close === null ? '.' : ''}`)
    }
    return first
  }

  #variable(expression: Expression & { readonly kind: 'name' }): Type {
    const { name } = expression
    const known = VARIABLES.get(name) ?? (this.#stepVariables ? STEP_VARIABLES.get(name) : undefined)
    if (known !== undefined) return known
    if (name === 'step' || name.startsWith('step.')) {
      if (!this.#stepVariables) throw new Mistaken('validation', expression, `${quoted(name)} is known only in the notifications of a step: when this is decided, no step has run.`)
    }
    if (FUNCTIONS.has(name)) throw new Mistaken('validation', expression, `${name} says nothing by itself; ask it for a variable, as in ${name}("NAME").`)
    const close = nearest(name, this.#stepVariables ? [...VARIABLES.keys(), ...STEP_VARIABLES.keys()] : VARIABLES.keys())
    const advice = close !== null ? `did you mean ${close}?` : 'a text stands in quotes, and a variable of the environment is build.env("NAME").'
    throw new Mistaken('validation', expression, `there is no variable ${quoted(name)}; ${advice}`)
  }

  #call(expression: Expression & { readonly kind: 'call' }): Type {
    const { name, operands } = expression
    if (!FUNCTIONS.has(name)) throw new Mistaken('validation', expression, `there is no function ${quoted(name)}; there are env("NAME") and build.env("NAME").`)
    const [operand, more] = operands
    if (operand === undefined || more !== undefined) throw new Mistaken('validation', more ?? expression, `${name} is asked for one variable, as in ${name}("NAME").`)
    const type = this.typeOf(operand)
    if (type.kind !== 'text') throw new Mistaken('validation', operand, `${name} is asked by the name of a variable, which is a text, not ${SHOWN[type.kind]}.`)
    const text = staticText(operand)
    const mistake = text === null ? null : mistakeInName(text)
    if (mistake !== null) throw new Mistaken('validation', operand, mistake)
    return { kind: 'text' }
  }
}

/** What it says when that is known already. */
function staticText(expression: Expression): string | null {
  return expression.kind === 'text' || (expression.kind === 'template' && expression.isStatic) ? expression.text : null
}

function mistakeInName(name: string): string | null {
  const bare = name.replaceAll('$', '')
  if (name.startsWith('$')) return `a variable is asked for without "$"${bare === '' ? '' : `: ${quoted(bare)}`}.`
  if (!/^[A-Za-z0-9_]+$/.test(name)) return `${quoted(name)} is no name of a variable, which has letters, digits and "_".`
  if (!isHidden(name, { isWritten: true })) return null
  // What they all begin with would make all of them near.
  const close = nearest(name.replace('BUILDKITE_', ''), Array.from(BUILDKITE_NAMES, (one) => one.replace('BUILDKITE_', '')))
  return `a condition cannot see ${quoted(name)}; ${close === null ? 'only a running job has it, so decide it in the script of the step.' : `did you mean "BUILDKITE_${close}"?`}`
}

function shown({ kind, choices }: Type): string {
  return choices === undefined ? SHOWN[kind] : `one of ${choices.slice(0, 3).join(', ')}, …`
}
