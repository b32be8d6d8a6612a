/**
 * Everything an agent touches beyond its own memory: clock, chance, disk, network. The rooms get these handed in, so
 * that a simulation can turn the clock and tear the disk; only entry files make the real ones (`nodePlatform`).
 *
 * Two clocks on purpose: deadlines use `monotonic`, people see `wall` [C16.1].
 */
export interface Clock {
  /** Milliseconds since 1970. For display and for noticing a suspended machine. */
  wall(): number
  /** Milliseconds since any fixed moment; never goes back. */
  monotonic(): number
  /** Calls once after `ms`; the returned function takes it back. */
  after(ms: number, call: () => void): () => void
}

export interface Chance {
  /** In [0, 1). */
  random(): number
  /** Cryptographic bytes, for ids and secrets. */
  bytes(length: number): Uint8Array
}

export interface Appender {
  /** Resolves when the operating system has the bytes. Callers await it: that is the back pressure. */
  write(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** A file system, in the few verbs that an agent needs of it. Paths are absolute. Errors carry Node's `code` (`ENOSPC`, `EROFS`). */
export interface Files {
  /** The whole file, or null when it is not there. */
  read(path: string): Promise<Uint8Array | null>
  /** Up to `length` bytes from `offset`; shorter at the end of the file, null when it is not there. */
  readRange(path: string, offset: number, length: number): Promise<Uint8Array | null>
  size(path: string): Promise<number | null>
  list(folder: string): Promise<readonly string[]>
  makeFolder(path: string): Promise<void>
  /** Written without any promise about a crash. */
  write(path: string, bytes: Uint8Array): Promise<void>
  /** As `write`, and then the file's bytes (not yet its name) survive a power failure. */
  writeSynced(path: string, bytes: Uint8Array): Promise<void>
  /** A file that takes so many bytes of room, and gives them back when it is removed. What it holds is of no interest. */
  allocate(path: string, bytes: number): Promise<void>
  append(path: string): Promise<Appender>
  rename(from: string, to: string): Promise<void>
  syncFolder(path: string): Promise<void>
  remove(path: string): Promise<void>
  /** `inodes` is Infinity where files are not counted. Rejects when nothing can be written there, however much room there is. */
  free(path: string): Promise<{ readonly bytes: number; readonly totalBytes: number; readonly inodes: number }>
}

export interface Disk extends Files {
  /** Afterwards the file is there, whole, whatever happens; on an error the old one is (`durable-write.ts`). */
  writeDurably(path: string, bytes: Uint8Array): Promise<void>
}

export interface Socket {
  close(): void
  ping(): void
}

export interface SocketEvents {
  readonly opened: () => void
  readonly message: (text: string) => void
  readonly pong: () => void
  /** Once, for whatever reason; also when it could never be opened. */
  readonly closed: (why: string) => void
}

/** As much of a `Response` as the agent looks at. */
export interface Answered {
  readonly status: number
  readonly ok: boolean
  readonly headers: Pick<Headers, 'get' | 'has'>
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null
}

export interface Network {
  /** `fetch` that never follows redirects (a captive portal redirects) and never throws but on network failure or abort. */
  fetch(url: string, init: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: Uint8Array | string; readonly signal: AbortSignal }): Promise<Answered>
  openSocket(url: string, headers: Readonly<Record<string, string>>, events: SocketEvents): Socket
}

export interface Platform {
  readonly clock: Clock
  readonly chance: Chance
  readonly disk: Disk
  readonly network: Network
}
