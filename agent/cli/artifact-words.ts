/** How commands about artifacts count bytes, and how many files they work on at a time. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'] as const

export function bytesInWords(bytes: number): string {
  const unit = bytes < 1024 ? 0 : bytes < 1024 ** 2 ? 1 : bytes < 1024 ** 3 ? 2 : 3
  return unit === 0 ? `${bytes} bytes` : `${(bytes / 1024 ** unit).toFixed(1)} ${UNITS[unit]}`
}

/** Results in the order of what they were made of. The first error ends it: nothing more is begun, and what was begun is waited for. */
export async function inParallel<T, R>(all: readonly T[], atOnce: number, make: (one: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  let next = 0
  let failure: { readonly error: unknown } | null = null
  const work = async () => {
    while (next < all.length && failure === null) {
      const index = next++
      try {
        results[index] = await make(all[index] as T) // below the length
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, work))
  if (failure !== null) throw (failure as { readonly error: unknown }).error // the compiler does not see the callback's assignment
  return results
}
