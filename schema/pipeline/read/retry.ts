/** When a job is tried again: by rules, and by a person. */
import { isList, isMap } from '../json.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { AutomaticRetry, Retry } from '../steps.ts'
import { exitStatus } from './common.ts'
import { Attributes, shown, type Reader } from './reading.ts'
import { flag, listOf, oneOf, oneOrMore, prose, truthOf, wholeNumber } from './values.ts'

type Manual = Retry['manual']

const ALLOWED: Manual = { allowed: true, reason: null, permitOnPassed: true }
export const NO_RETRY: Retry = { automatic: [], manual: ALLOWED }
/** What `automatic: true` means, and what a rule leaves out. */
const DEFAULT_LIMIT = 2
const ANY_FAILURE: AutomaticRetry = { exitStatus: 'any', signal: 'any', signalReason: 'any', limit: DEFAULT_LIMIT }

export const retry: Reader<Retry> = (value, place) => {
  if (!isMap(value)) return place.wrong(`this is a mapping, such as { automatic: ${truthOf(value) ?? true} }, not ${shown(value)}.`)
  const attributes = new Attributes(value, place)
  const found: Retry = { automatic: attributes.read('automatic', automatic, []), manual: attributes.read('manual', manual, ALLOWED) }
  attributes.refuseRest('"retry"', { elsewhere: { limit: 'it belongs into "automatic"', exit_status: 'it belongs into "automatic"', allowed: 'it belongs into "manual"' } })
  return found
}

const automatic: Reader<readonly AutomaticRetry[]> = (value, place) => {
  const truth = truthOf(value)
  if (truth !== undefined) return truth ? [ANY_FAILURE] : []
  if (isMap(value)) return rule(value, place)
  return isList(value) ? listOf(rule, 'rules', 32)(value, place)?.flat() : place.wrong(`this is true, false, a rule such as { exit_status: 1, limit: 2 } or a list of rules, not ${shown(value)}.`)
}

const REASONS = ['*', 'none', 'agent_incompatible', 'agent_refused', 'agent_stop', 'cancel', 'process_run_error', 'signature_rejected', 'stack_error'] as const

/** One rule as written may name several signals and reasons; each pair becomes a rule of its own. */
const rule: Reader<readonly AutomaticRetry[]> = (value, place) => {
  const attributes = Attributes.of(value, place, 'a rule of "automatic"')
  if (attributes === undefined) return undefined
  const exitStatuses = attributes.read('exit_status', statuses, 'any')
  const signals = attributes.read('signal', oneOrMore(signal, 'signals', 32), ['any'])
  const reasons = attributes.read('signal_reason', oneOrMore(oneOf(REASONS), 'reasons', REASONS.length), ['*'])
  const limit = attributes.read('limit', wholeNumber(0, PIPELINE_LIMITS.retries, 'how often a job may be tried again'), DEFAULT_LIMIT)
  attributes.refuseRest('a rule of "automatic"')
  return signals.flatMap((one) => reasons.map((reason) => ({ exitStatus: exitStatuses, signal: one, signalReason: reason === '*' ? 'any' : reason, limit })))
}

const statuses: Reader<AutomaticRetry['exitStatus']> = (value, place) => (value === '*' ? 'any' : oneOrMore(exitStatus, 'exit statuses')(value, place))

const signal: Reader<string> = (value, place) => {
  if (value === '*') return 'any'
  if (typeof value !== 'string' || !/^[a-z][a-z0-9+-]{1,15}$/i.test(value)) return place.wrong(`${shown(value)} is not the name of a signal: such as "SIGKILL" or "kill", or "*", or "none".`)
  return value === 'none' ? value : value.toUpperCase().replace(/^SIG/, '')
}

const manual: Reader<Manual> = (value, place) => {
  const truth = truthOf(value)
  if (truth !== undefined) return { ...ALLOWED, allowed: truth }
  if (!isMap(value)) return place.wrong(`this is true, false or a mapping such as { allowed: false, reason: … }, not ${shown(value)}.`)
  const attributes = new Attributes(value, place)
  const found: Manual = {
    allowed: attributes.read('allowed', flag, true),
    reason: attributes.read('reason', prose(PIPELINE_LIMITS.labelCharacters), null),
    permitOnPassed: attributes.read('permit_on_passed', flag, true),
  }
  attributes.refuseRest('"manual"')
  return found
}
