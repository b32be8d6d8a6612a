/** Which Node the command line runs on. */
import { OLDEST_NODE } from '../../schema/version.ts'
import { EXIT, Failure } from './output.ts'

/** `running` as `process.versions.node` has it; an older one would end in the middle of a command, without a sentence. */
export function assertNode(running: string): void {
  const [major = 0, minor = 0] = running.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return
  throw new Failure(EXIT.usage, `this is Node ${running}, and kedge needs Node ${OLDEST_NODE} or newer. Install one from https://nodejs.org, or where kedge is a clone, start it there with: npx kedge`)
}
