/**
 * The whole Worker as it is deployed, its pages and both objects included, bundled from source and run in Node: as much
 * of the platform around it as its routes touch, and a count of every call to an object and to the bucket.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { coordinatorScript } from '../../coordinator/build.ts'
import { countingSqlite } from './rows.ts'

export interface RealWorker {
  fetch(path: string, init?: RequestInit): Promise<Response>
  readonly calls: { object_requests: number; class_a: number; class_b: number }
  /** Fires the alarms that logs have set. */
  fireLogAlarms(): Promise<void>
}

export const ADMIN = 'kdg_adm_for-the-tests-of-cost-0123456789'
export const REGISTRATION = 'kdg_reg_for-the-tests-of-cost-0123456789'
const ORIGIN = 'https://ci.example'

/** One of our two classes, as far as anything calls it from outside. */
type AnyObject = Record<string, (...given: readonly unknown[]) => unknown> & { alarm(): Promise<void> }
type ObjectClass = new (state: unknown, env: unknown) => AnyObject
interface WorkerModule {
  readonly default: { fetch(request: Request, env: unknown, context: unknown): Promise<Response> }
  readonly Scheduler: ObjectClass
  readonly JobLog: ObjectClass
}

export async function realWorker(): Promise<RealWorker> {
  const { default: app, Scheduler, JobLog } = await load()
  const calls = { object_requests: 0, class_a: 0, class_b: 0 }
  const logAlarms: (() => Promise<void>)[] = []
  const blobs = new Map<string, Uint8Array>()

  const namespace = (Class: ObjectClass) => {
    const objects = new Map<string, Promise<AnyObject>>()
    const open = async (): Promise<AnyObject> => {
      let ready: Promise<unknown> = Promise.resolve()
      let object: AnyObject | null = null
      const state = { storage: storageOf(() => (Class === JobLog ? logAlarms.push(async () => await object?.alarm()) : undefined)), blockConcurrencyWhile: (run: () => Promise<unknown>) => (ready = run()), getWebSockets: () => [], waitUntil: () => undefined }
      object = new Class(state, env)
      await ready
      return object
    }
    const opened = (name: string) => {
      let object = objects.get(name)
      if (object === undefined) objects.set(name, (object = open()))
      return object
    }
    // Every call of a stub's method is billed as a request to the object.
    const stub = (name: string) =>
      new Proxy({}, {
        get: (_, method: string) => async (...given: readonly unknown[]) => {
          calls.object_requests += 1
          return await (await opened(name))[method]?.(...given)
        },
      })
    return { idFromName: (name: string) => name, get: stub }
  }
  const env = {
    KEDGE_ADMIN_TOKEN: ADMIN,
    KEDGE_REGISTRATION_TOKEN: REGISTRATION,
    KEDGE_SIGNING_KEY: 'for the tests of cost, and long enough to be a key',
    SCHEDULER: null as unknown,
    JOB_LOG: null as unknown,
    BLOBS: {
      put: async (key: string, body: ReadableStream) => {
        calls.class_a += 1
        blobs.set(key, new Uint8Array(await new Response(body).arrayBuffer()))
      },
      head: async (key: string) => {
        calls.class_b += 1
        const bytes = blobs.get(key)
        return bytes === undefined ? null : { size: bytes.byteLength }
      },
      get: async (key: string, { range }: { readonly range: { readonly offset: number; readonly length: number } }) => {
        calls.class_b += 1
        const bytes = blobs.get(key)?.slice(range.offset, range.offset + range.length)
        return bytes === undefined ? null : { body: new Response(bytes).body, arrayBuffer: async () => bytes.buffer }
      },
    },
  }
  env.SCHEDULER = namespace(Scheduler)
  env.JOB_LOG = namespace(JobLog)
  return {
    calls,
    fetch: (path, init) => app.fetch(new Request(ORIGIN + path, init), env, { waitUntil: () => undefined, passThroughOnException: () => undefined }),
    fireLogAlarms: async () => {
      for (const alarm of logAlarms.splice(0)) {
        calls.object_requests += 1
        await alarm()
      }
    },
  }
}

function storageOf(alarmIsSet: () => void) {
  const sqlite = countingSqlite({ read: 0, written: 0 })
  return {
    sql: {
      exec: (query: string, ...bindings: Parameters<typeof sqlite.run>[1]) => {
        const rows = /^\s*select/i.test(query) ? sqlite.all(query, bindings) : (sqlite.run(query, bindings), [])
        return { raw: () => rows }
      },
    },
    transactionSync: <T>(run: () => T) => sqlite.transaction(run),
    getAlarm: async () => null,
    setAlarm: async () => alarmIsSet(),
  }
}

async function load(): Promise<WorkerModule> {
  // What the Workers runtime has and Node has not, as far as it is needed here.
  Object.assign(globalThis, {
    scheduler: { wait: async () => undefined },
    FixedLengthStream: class extends TransformStream {
      constructor() {
        super() // whatever length it was given
      }
    },
  })
  const script = (await coordinatorScript()).replaceAll(/import \{ DurableObject(?: as (\w+))? \} from "cloudflare:workers";/g, (_, name = 'DurableObject') => `class ${name} { constructor(ctx, env) { this.ctx = ctx; this.env = env } }`)
  const folder = await mkdtemp(join(tmpdir(), 'kedge-cost-'))
  try {
    const file = join(folder, 'coordinator.mjs')
    await writeFile(file, script)
    return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as WorkerModule // `coordinator/worker.ts` exports these
  } finally {
    await rm(folder, { recursive: true })
  }
}
