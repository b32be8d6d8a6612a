/**
 * Who this agent is, over restarts: its id, its secret, and the number of this boot. The number rises and is fsynced
 * before anything is sent, so that a delayed message of an older process can never look like a newer one [C1.5]. A
 * state folder that cannot be read is never silently replaced: its results belong to the id inside.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { AGENT_ID, type AgentId } from '../../schema/job.ts'
import { parseJson } from '../../schema/parse-json.ts'
import { agentId as agentIdSchema } from '../../schema/sync.ts'
import { diskTrouble } from '../disk-trouble.ts'
import { takeLock, type Processes } from '../lock.ts'
import type { Chance, Disk, Platform } from '../platform.ts'
import { withReserve } from './reserve.ts'

export interface State {
  readonly folder: string
  readonly agentId: AgentId
  /** `kdg_sec_` and 43 characters of base64url: 32 random bytes. Only its SHA-256 is ever registered. */
  readonly secret: string
  /** Rises by one with each `openState`. */
  readonly bootSeq: number
  /** Random, new with each `openState`. */
  readonly bootId: string
  /** After `session_superseded` at the start (a disk was rolled back): goes on with this boot number, durably [C1.6]. */
  jumpTo(bootSeq: number): Promise<void>
  /** Another process works in this folder now, by force: what becomes of the builds here is its to tell. */
  isTaken(): Promise<boolean>
  /** Gives the folder to the next process. */
  release(): Promise<void>
}

/** The state folder cannot be used; the message is a whole sentence for a person. */
export class StateError extends Error {
  readonly code: 'held' | 'newer' | 'unreadable' | 'unwritable'

  constructor(code: StateError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StateError'
    this.code = code
  }
}

const FORMAT = 1
const stateText = z.object({ format: z.literal(FORMAT), agent_id: agentIdSchema, secret: z.string().regex(/^kdg_sec_[A-Za-z0-9_-]{43}$/), boot_seq: z.number().int().nonnegative() })
type StateText = z.infer<typeof stateText>

/** Opens the folder, making it if it is not there, and begins a new boot. Throws `StateError`. */
export async function openState(folder: string, platform: Platform, processes: Processes): Promise<State> {
  const { disk, chance } = platform
  const path = join(folder, 'agent.json')
  const save = (text: StateText) => withReserve(disk, folder, () => disk.writeDurably(path, new TextEncoder().encode(`${JSON.stringify(text)}\n`)))
  const writable = async <T>(write: () => Promise<T>): Promise<T> => write().catch((error: unknown) => Promise.reject(unwritable(folder, error)))

  await writable(() => disk.makeFolder(folder))
  const lock = await writable(() => withReserve(disk, folder, () => takeLock(join(folder, 'agent.lock'), { disk, processes, nonce: hex(chance.bytes(8)) })))
  if (!lock.ok) throw new StateError('held', `another agent (process ${lock.holder.pid}) uses the state folder ${folder}. Stop it first, or give this one a folder of its own with --state.`)
  try {
    const stored = (await readState(disk, path)) ?? newIdentity(chance)
    let text: StateText = { ...stored, boot_seq: stored.boot_seq + 1 }
    await writable(() => save(text))
    return {
      folder,
      agentId: text.agent_id,
      secret: text.secret,
      get bootSeq() {
        return text.boot_seq
      },
      bootId: hex(chance.bytes(12)),
      jumpTo: async (bootSeq) => {
        const next = { ...text, boot_seq: bootSeq }
        await writable(() => save(next))
        text = next
      },
      isTaken: lock.isTaken,
      release: lock.release,
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

export function unreadable(path: string, error: unknown): StateError {
  return new StateError('unreadable', `cannot read ${path}: ${diskTrouble(error).why}. It may hold a result that the coordinator has not got, so this agent does not start without it. Make it readable, or move it away.`, { cause: error })
}

export function unwritable(folder: string, error: unknown): StateError {
  const { why, remedy } = diskTrouble(error)
  return new StateError('unwritable', `cannot write the state folder ${folder}: ${why}. The agent keeps its identity and its unsent results there: ${remedy}, or name another with --state.`, { cause: error })
}

async function readState(disk: Disk, path: string): Promise<StateText | null> {
  const bytes = await disk.read(path).catch((error: unknown) => {
    throw new StateError('unreadable', `cannot read ${path}: ${diskTrouble(error).why}. Make it readable for the agent's user.`, { cause: error })
  })
  if (bytes === null) return null
  const unreadable = `${path} is damaged, so this agent does not know who it is. Restore the file from a copy; or, if no result waits in the spool beside it, delete it, and the machine registers as a new agent.`
  const json = parseJson(new TextDecoder().decode(bytes))
  const parsed = stateText.safeParse(json)
  if (parsed.success) return parsed.data
  const format = z.object({ format: z.number() }).safeParse(json)
  if (format.success && format.data.format > FORMAT) {
    throw new StateError('newer', `${path} was written by a newer kedge (format ${format.data.format}; this one knows ${FORMAT}). Start that version, or give this one a folder of its own with --state.`)
  }
  throw new StateError('unreadable', unreadable, { cause: parsed.error })
}

function newIdentity(chance: Chance): StateText {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
  let id = 'a_'
  while (id.length < 22) {
    const byte = chance.bytes(1)[0] ?? 255
    if (byte < 252) id += letters[byte % 36] ?? '' // 252 is 7 × 36: no letter is likelier than another
  }
  if (!AGENT_ID.test(id)) throw new Error(`made ${id}, which is no agent id`)
  return { format: FORMAT, agent_id: id as AgentId, secret: `kdg_sec_${Buffer.from(chance.bytes(32)).toString('base64url')}`, boot_seq: 0 } // the cast holds: tested above
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
