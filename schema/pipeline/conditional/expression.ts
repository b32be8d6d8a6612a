/** A condition as a tree. Whatever nests is bounded by the parser, so a walk over it may recurse. */
import type { Span } from './mistaken.ts'
import type { Pattern } from './pattern.ts'
import type { Template, Variable, Wrong } from './template.ts'

export type Comparator = '==' | '!=' | '=~' | '!~' | 'includes'

export type Expression = Span & Form

type Form =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'text'; readonly text: string }
  /** `text`: what it says when no variable is in it (`isStatic`). */
  | { readonly kind: 'template'; readonly template: Template; readonly isStatic: boolean; readonly text: string }
  | { readonly kind: 'shell'; readonly variable: Variable | Wrong }
  | { readonly kind: 'pattern'; readonly pattern: Pattern }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Expression[] }
  | { readonly kind: 'list'; readonly operands: readonly Expression[] }
  | { readonly kind: 'not'; readonly operand: Expression }
  /** Two or more; a row of them is one, however long. */
  | { readonly kind: 'all' | 'any'; readonly operands: readonly Expression[] }
  | { readonly kind: 'comparison'; readonly comparator: Comparator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'choice'; readonly condition: Expression; readonly chosen: Expression; readonly otherwise: Expression }
