/** Work on many things, some at a time. */

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
