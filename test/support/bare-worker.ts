/**
 * A Worker with one Durable Object and nothing else, in workerd and on disk, reached as the coordinator is: a floor to
 * measure against, or a stranger that opens the very storage that the coordinator will find.
 */

export interface BareWorker {
  readonly url: string
  stop(): Promise<void>
}

export interface BareWorkerOptions {
  /** Of the Worker; with the class's it names the storage. */
  readonly name: string
  /** `script` exports it, beside the Worker itself, which finds it in the binding `OBJECT`, and a bucket in `BLOBS`. */
  readonly className: string
  readonly script: string
  /** Where the storage lies. */
  readonly folder: string
}

export async function startBareWorker({ name, className, script, folder }: BareWorkerOptions): Promise<BareWorker> {
  const { convertV4MiniflareOptions, Miniflare } = await import('miniflare')
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      name,
      modules: true,
      script,
      compatibilityDate: '2026-10-01',
      compatibilityFlags: ['nodejs_compat'],
      r2Buckets: { BLOBS: 'bare' },
      durableObjects: { OBJECT: { className, useSQLite: true } },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      unsafeRegisterWorker: false,
      host: '127.0.0.1',
      port: 0,
      cf: false,
      telemetry: { enabled: false },
    }),
    resourcePersistencePath: folder,
  })
  const stop = () => miniflare.dispose()
  try {
    await miniflare.ready
    return { url: (await miniflare.unsafeGetDirectURL(name)).origin, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
