/** Conditions in one line: what one says of a context, or the kind of what is wrong, the part that is blamed, and why. */
import { evaluate, parseConditional, type ConditionalUse, type Context } from '../../schema/pipeline/conditional/conditional.ts'

export interface Given extends Partial<Omit<Context, 'env'>> {
  readonly env?: Readonly<Record<string, string>>
  readonly use?: ConditionalUse
}

export function contextOf({ env = {}, build = {}, pipeline = {}, organization = {}, step = {} }: Given): Context {
  return { build, pipeline, organization, step, env: (name) => (Object.hasOwn(env, name) ? (env[name] ?? null) : null) }
}

export function verdict(text: string, given: Given = {}): boolean | string {
  const parsed = parseConditional(text, given.use)
  const answer = parsed.ok ? evaluate(parsed.conditional, contextOf(given)) : parsed
  if (answer.ok) return answer.holds
  const { kind, at, length, message } = answer.error
  return `${kind} at «${text.slice(at, at + length)}»: ${message}`
}

/** Only the kind of what is wrong. */
export function kindOf(text: string, given: Given = {}): boolean | string {
  const answer = verdict(text, given)
  return typeof answer === 'string' ? answer.slice(0, answer.indexOf(' ')) : answer
}
