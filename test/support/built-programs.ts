/**
 * Before the tests with whole processes: what they start is what users get, built from what is written. It starts in a
 * third of the time that the sources take, and a coordinator builds nothing at each start.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Set by `npm test`, which has built them; others must not be written while its other checks read them. */
const IS_BUILT = 'KEDGE_TESTS_FIND_BUILT'

export async function setup(): Promise<void> {
  if (process.env[IS_BUILT] === '1') return
  await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../coordinator/build.ts')])
}
