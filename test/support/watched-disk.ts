/**
 * A disk that counts and refuses: the real one, with every write noted in order and, while `refuse` says so, failed with
 * an error code of the operating system. For what happens on the line where the disk is full or the process dies.
 */
import type { Appender, Disk } from '../../agent/platform.ts'

export type DiskVerb = 'makeFolder' | 'writeDurably' | 'write' | 'allocate' | 'append' | 'rename' | 'syncFolder' | 'remove'

export interface WatchedDisk extends Disk {
  /** `verb path`, with the path's last two parts. */
  readonly done: string[]
  /** Returns an error code, such as `ENOSPC`, for what is to fail. */
  refuse: (verb: DiskVerb, path: string) => string | null
}

export function watchDisk(disk: Disk): WatchedDisk {
  const step = async <T>(verb: DiskVerb, path: string, act: () => Promise<T>): Promise<T> => {
    const code = watched.refuse(verb, path)
    if (code !== null) throw Object.assign(new Error(`${code}: refused by the test, ${verb} '${path}'`), { code })
    watched.done.push(`${verb} ${path.split('/').slice(-2).join('/')}`)
    return await act()
  }
  const watched: WatchedDisk = {
    ...disk,
    done: [],
    refuse: () => null,
    makeFolder: (path) => step('makeFolder', path, () => disk.makeFolder(path)),
    writeDurably: (path, bytes) => step('writeDurably', path, () => disk.writeDurably(path, bytes)),
    write: (path, bytes) => step('write', path, () => disk.write(path, bytes)),
    allocate: (path, bytes) => step('allocate', path, () => disk.allocate(path, bytes)),
    append: (path) =>
      step('append', path, async () => {
        const file: Appender = await disk.append(path)
        return { ...file, write: (bytes) => step('append', path, () => file.write(bytes)) }
      }),
    rename: (from, to) => step('rename', from, () => disk.rename(from, to)),
    syncFolder: (path) => step('syncFolder', path, () => disk.syncFolder(path)),
    remove: (path) => step('remove', path, () => disk.remove(path)),
  }
  return watched
}
