/**
 * A disk that keeps its word and no more. What was not synced may be gone after a power failure, each name and each file
 * for itself, as POSIX allows; a full disk takes part of a write; a process that dies leaves half an act behind. Only the
 * verbs of an operating system are made here: what makes a write durable is the agent's own code.
 */
import { durable } from '../../agent/durable-write.ts'
import type { Appender, Disk, Files } from '../../agent/platform.ts'
import type { Dice } from './chance.ts'
import type { VirtualTime, Owner } from './time.ts'

/** One for each that waits: a promise holds on to whoever waits for it, and that to a whole world. */
const never = () => new Promise<never>(() => {})
const NOTHING = new Uint8Array(0)

class SimFile {
  bytes: Uint8Array = NOTHING
  /** What survives a power failure; null when not even its existence does. */
  synced: Uint8Array | null = null
  /** Of `allocate`: room without bytes. */
  hollow = 0

  get size(): number {
    return this.hollow === 0 ? this.bytes.byteLength : this.hollow
  }
}

/** Files by folder and name: what is asked for most is one folder. */
class Names {
  readonly folders = new Map<string, Map<string, SimFile>>()

  get(path: string): SimFile | undefined {
    const [folder, name] = split(path)
    return this.folders.get(folder)?.get(name)
  }

  set(path: string, file: SimFile): void {
    const [folder, name] = split(path)
    const files = this.folders.get(folder)
    if (files === undefined) this.folders.set(folder, new Map([[name, file]]))
    else files.set(name, file)
  }

  delete(path: string): void {
    const [folder, name] = split(path)
    this.folders.get(folder)?.delete(name)
  }

  *entries(): Generator<readonly [string, SimFile]> {
    for (const [folder, files] of this.folders) for (const [name, file] of files) yield [`${folder}/${name}`, file]
  }

  /** All of a folder and of those in it. */
  *below(folder: string): Generator<readonly [string, SimFile]> {
    for (const [path, files] of this.folders) if (path === folder || path.startsWith(`${folder}/`)) for (const [name, file] of files) yield [`${path}/${name}`, file]
  }

  /** The folder and those in it are gone, with all that is still in them. */
  forget(folder: string): void {
    for (const path of this.folders.keys()) if (path === folder || path.startsWith(`${folder}/`)) this.folders.delete(path)
  }

  copy(): Names {
    const copy = new Names()
    for (const [folder, files] of this.folders) copy.folders.set(folder, new Map(files))
    return copy
  }
}

function split(path: string): readonly [string, string] {
  const at = path.lastIndexOf('/')
  return [path.slice(0, at), path.slice(at + 1)]
}

/** The process at whose hand an act happens. */
export interface DiskUser extends Owner {
  /** Counts down with each act that changes the disk; at zero the process dies within it. Null: not planned. */
  diesIn: number | null
  die(): void
}

export interface DiskEvents {
  /** A name is about to go: removed, or renamed away. */
  going(path: string): void
}

export class SimDisk {
  /** Bytes that fit; what there is more than that stays, but nothing is added. */
  capacity = Infinity
  isReadOnly = false
  /** Share of acts that fail with EIO. */
  failing = 0
  /** Longest that an act takes, in milliseconds; most take none. */
  slowness = 0
  readonly #time: VirtualTime
  readonly #dice: Dice
  readonly #events: DiskEvents
  #names = new Names()
  #folders = new Set<string>()
  #durableNames = new Names()
  #durableFolders = new Set<string>()

  constructor(time: VirtualTime, dice: Dice, events: DiskEvents) {
    this.#time = time
    this.#dice = dice
    this.#events = events
  }

  /** Now, whatever was synced. */
  contents(path: string): Uint8Array | null {
    return this.#names.get(path)?.bytes ?? null
  }

  /** Names of files below a folder, in their order of creation. */
  below(folder: string): readonly string[] {
    return [...this.#names.below(folder)].map(([path]) => path)
  }

  used(): number {
    let bytes = 0
    for (const files of this.#names.folders.values()) for (const file of files.values()) bytes += file.size
    return bytes
  }

  /** Everything as it is now, as a copied or rolled-back image has it: all of it synced. */
  image(): Map<string, Uint8Array> {
    return new Map([...this.#names.entries()].map(([path, file]) => [path, file.bytes]))
  }

  restore(image: ReadonlyMap<string, Uint8Array>): void {
    this.#names = new Names()
    for (const [path, bytes] of image) {
      const file = new SimFile()
      file.bytes = file.synced = bytes
      this.#names.set(path, file)
    }
    this.#folders = new Set([...image.keys()].flatMap((path) => parents(path)))
    this.#durableNames = this.#names.copy()
    this.#durableFolders = new Set(this.#folders)
  }

  /** The power fails: what was not synced is there or not, each thing for itself. */
  losePower(): void {
    const dice = this.#dice
    for (const path of this.#folders) if (!this.#durableFolders.has(path) && dice.chance(0.5)) this.#folders.delete(path)
    for (const path of this.#durableFolders) if (!this.#folders.has(path) && dice.chance(0.5)) this.#folders.add(path)
    const after = new Names()
    for (const path of new Set([...this.#names.entries(), ...this.#durableNames.entries()].map(([name]) => name))) {
      const [now, then] = [this.#names.get(path), this.#durableNames.get(path)]
      const file = now === then || dice.chance(0.5) ? now : then
      if (file === undefined || !parents(path).every((folder) => this.#folders.has(folder))) continue
      after.set(path, file)
    }
    for (const [, file] of after.entries()) {
      const synced = file.synced ?? NOTHING
      if (file.bytes === synced || file.hollow > 0) continue
      // A part of what was written later may have come through, or all of it, or nothing.
      const isAppended = file.bytes.byteLength >= synced.byteLength && file.bytes.subarray(0, synced.byteLength).every((byte, at) => byte === synced[at])
      file.bytes = isAppended ? tornTail(file.bytes, synced.byteLength, dice) : dice.chance(0.5) ? synced : file.bytes.slice(0, dice.whole(0, file.bytes.byteLength))
      file.synced = file.bytes
    }
    this.#names = after
    this.#durableNames = after.copy()
    this.#durableFolders = new Set(this.#folders)
  }

  /** The disk as one process has it. */
  for(user: DiskUser): Disk {
    const files: Files = {
      read: (path) => this.#look(user, () => this.#names.get(path)?.bytes ?? null),
      readRange: (path, offset, length) => this.#look(user, () => this.#names.get(path)?.bytes.subarray(offset, offset + length) ?? null),
      size: (path) => this.#look(user, () => this.#names.get(path)?.size ?? null),
      list: (folder) => this.#look(user, () => this.#list(folder)),
      makeFolder: (path) => this.#act(user, (part) => void (part > 0 && this.#makeFolder(path))),
      write: (path, bytes) => this.#act(user, (part) => void this.#write(path, bytes, part)),
      writeSynced: (path, bytes) =>
        this.#act(user, (part) => {
          const file = this.#write(path, bytes, part)
          if (part === 1 && file !== null) file.synced = file.bytes
        }),
      allocate: (path, bytes) =>
        this.#act(user, (part) => {
          if (part < 1) return
          const file = this.#names.get(path) ?? new SimFile()
          this.#room(bytes - file.size)
          file.hollow = bytes
          this.#names.set(path, file)
        }),
      append: (path) => this.#look(user, () => this.#appender(user, path)),
      rename: (from, to) =>
        this.#act(user, (part) => {
          if (part < 1) return
          this.#rename(from, to)
        }),
      syncFolder: (path) => this.#act(user, (part) => void (part === 1 && this.#syncFolder(path))),
      remove: (path) => this.#act(user, (part) => this.#remove(path, part)),
      free: () => this.#look(user, () => ({ bytes: Math.max(0, Math.min(this.capacity - this.used(), 1e12)), totalBytes: 1e12, inodes: Infinity })),
    }
    return durable(files)
  }

  /** Creates the file unless it is there. */
  claim(user: DiskUser, path: string, text: string): Promise<boolean> {
    return this.#act(user, (part) => {
      if (this.#names.get(path) !== undefined) return false
      this.#write(path, new TextEncoder().encode(text), part)
      return true
    })
  }

  async #look<T>(user: DiskUser, look: () => T): Promise<T> {
    if (!user.isAlive) return never()
    if (this.slowness > 0) await this.#wait(user)
    if (this.failing > 0 && this.#dice.chance(this.failing / 4)) throw trouble('EIO', 'input/output error')
    return look()
  }

  /** `act` is told which part of it comes to pass: 1, unless the process dies within it. */
  async #act<T>(user: DiskUser, act: (part: number) => T): Promise<T> {
    if (!user.isAlive) return never()
    if (this.slowness > 0) await this.#wait(user)
    if (this.isReadOnly) throw trouble('EROFS', 'read-only file system')
    if (this.failing > 0 && this.#dice.chance(this.failing)) throw trouble('EIO', 'input/output error')
    if (user.diesIn !== null && (user.diesIn -= 1) <= 0) {
      user.diesIn = null
      const kind = this.#dice.next()
      act(kind < 0.3 ? 0 : kind < 0.6 ? 1 : this.#dice.next())
      user.die()
      return never()
    }
    return act(1)
  }

  #wait(user: DiskUser): Promise<void> {
    if (this.#dice.chance(0.6)) return Promise.resolve()
    return new Promise((resolve) => void this.#time.after(this.#dice.between(0, this.slowness), resolve, user))
  }

  #list(folder: string): readonly string[] {
    const names = new Set<string>(this.#names.folders.get(folder)?.keys())
    for (const path of this.#folders) if (path.startsWith(folder) && path[folder.length] === '/') names.add(path.slice(folder.length + 1).split('/', 1)[0] ?? '')
    return [...names]
  }

  #makeFolder(path: string): void {
    for (const folder of [...parents(path), path]) this.#folders.add(folder)
  }

  #room(bytes: number): void {
    if (bytes > 0 && this.capacity !== Infinity && this.used() + bytes > this.capacity) throw trouble('ENOSPC', 'no space left on device')
  }

  #write(path: string, bytes: Uint8Array, part: number): SimFile | null {
    if (part === 0) return null
    if (!this.#folders.has(folderOf(path))) throw trouble('ENOENT', `no such file or directory, open '${path}'`)
    const file = this.#names.get(path) ?? new SimFile()
    const room = this.capacity === Infinity ? Infinity : this.capacity - this.used() + file.size
    file.hollow = 0
    file.bytes = bytes.slice(0, Math.floor(Math.min(part * bytes.byteLength, Math.max(0, room))))
    this.#names.set(path, file)
    if (room < bytes.byteLength) throw trouble('ENOSPC', 'no space left on device')
    return file
  }

  #appender(user: DiskUser, path: string): Appender {
    if (this.isReadOnly) throw trouble('EROFS', 'read-only file system')
    if (!this.#folders.has(folderOf(path))) throw trouble('ENOENT', `no such file or directory, open '${path}'`)
    const file = this.#names.get(path) ?? new SimFile()
    this.#names.set(path, file)
    let store: ArrayBufferLike | null = null // what the file holds now may be held by an image of this disk as well
    return {
      write: (bytes) =>
        this.#act(user, (part) => {
          const room = this.capacity === Infinity ? Infinity : Math.max(0, this.capacity - this.used())
          const taken = bytes.subarray(0, Math.floor(Math.min(part * bytes.byteLength, room)))
          const length = file.bytes.byteLength
          if (store === null || store !== file.bytes.buffer || length + taken.byteLength > store.byteLength || file.bytes.byteOffset !== 0) {
            const larger = new Uint8Array(Math.max(256, 2 * (length + taken.byteLength)))
            larger.set(file.bytes)
            store = larger.buffer
          }
          const whole = new Uint8Array(store, 0, length + taken.byteLength)
          whole.set(taken, length)
          file.bytes = whole
          if (taken.byteLength < bytes.byteLength && part === 1) throw trouble('ENOSPC', 'no space left on device')
        }),
      sync: () =>
        this.#act(user, (part) => {
          if (part === 1) file.synced = file.bytes
        }),
      close: () => this.#look(user, () => undefined),
    }
  }

  #rename(from: string, to: string): void {
    const file = this.#names.get(from)
    if (file !== undefined) {
      this.#names.delete(from)
      this.#names.set(to, file)
      return
    }
    if (!this.#folders.has(from)) throw trouble('ENOENT', `no such file or directory, rename '${from}'`)
    this.#events.going(from)
    for (const [path, each] of Array.from(this.#names.below(from))) {
      this.#names.delete(path)
      this.#names.set(to + path.slice(from.length), each)
    }
    this.#names.forget(from)
    for (const path of Array.from(this.#folders)) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.#folders.delete(path)
      this.#folders.add(to + path.slice(from.length))
    }
  }

  #remove(path: string, part: number): void {
    if (this.#folders.has(path)) this.#events.going(path)
    const inside = this.#names.get(path) === undefined ? [...this.#names.below(path)].map(([name]) => name) : [path]
    for (const name of inside.slice(0, Math.ceil(part * inside.length))) this.#names.delete(name)
    if (part < 1) return
    for (const folder of this.#folders) if (folder === path || folder.startsWith(`${path}/`)) this.#folders.delete(folder)
    this.#names.forget(path)
  }

  /** The names in it are as they are now, for good; what the files hold is another matter. */
  #syncFolder(folder: string): void {
    this.#durableNames.folders.set(folder, new Map(this.#names.folders.get(folder)))
    const isIn = (path: string) => path.startsWith(folder) && path[folder.length] === '/' && !path.includes('/', folder.length + 1)
    for (const path of this.#durableFolders) {
      if (!isIn(path) || this.#folders.has(path)) continue
      this.#durableFolders.delete(path)
      this.#durableNames.forget(path)
    }
    for (const path of this.#folders) if (isIn(path) || path === folder) this.#durableFolders.add(path)
  }
}

/** Of what was appended after the last sync some may be there, and some of its length as zeros: blocks that were promised and never written. */
function tornTail(bytes: Uint8Array, synced: number, dice: Dice): Uint8Array {
  const torn = bytes.slice(0, dice.whole(synced, bytes.byteLength))
  if (dice.chance(0.3)) torn.fill(0, dice.whole(synced, torn.byteLength))
  return torn
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/** `/a/b` of `/a/b/c`, and all above. */
function parents(path: string): readonly string[] {
  const folders: string[] = []
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) folders.push(path.slice(0, at))
  return folders
}

function trouble(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
