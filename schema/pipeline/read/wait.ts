/** A wait: what stands behind it waits for all before it. */
import type { WaitStep } from '../steps.ts'
import { branches, common } from './common.ts'
import type { Attributes } from './reading.ts'
import { flag } from './values.ts'

export function waitStep(attributes: Attributes, path: readonly number[]): WaitStep {
  return {
    ...common(attributes, path, ['label', 'name', 'wait', 'waiter']),
    kind: 'wait',
    branches: branches(attributes),
    continueOnFailure: attributes.read('continue_on_failure', flag, false),
  }
}
