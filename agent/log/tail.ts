/**
 * The last bytes of a stream of any length, in a ring. Its memory is taken piece by piece up to the capacity, so that a
 * log one byte over its limit does not pay for the whole ring.
 */
export interface Tail {
  push(chunk: Uint8Array): void
  /** What is kept, oldest first, and how many bytes before it were let go. Empties the ring. */
  take(): { readonly dropped: number; readonly pieces: readonly Uint8Array[] }
}

export function createTail(capacity: number): Tail {
  let ring = new Uint8Array(0)
  /** Where the next byte goes. */
  let at = 0
  let held = 0
  let dropped = 0

  const growTo = (wanted: number): void => {
    if (wanted <= ring.byteLength || ring.byteLength === capacity) return
    const larger = new Uint8Array(Math.min(capacity, Math.max(wanted, 2 * ring.byteLength, Math.min(capacity, 65_536))))
    larger.set(ring.subarray(0, held)) // not yet wrapped: it only wraps at full capacity
    ring = larger
    at = held
  }

  return {
    push: (chunk) => {
      const kept = chunk.byteLength > capacity ? chunk.subarray(chunk.byteLength - capacity) : chunk
      dropped += chunk.byteLength - kept.byteLength + Math.max(0, held + kept.byteLength - capacity)
      growTo(held + kept.byteLength)
      if (ring.byteLength === 0 || kept.byteLength === 0) return
      at %= ring.byteLength
      const first = Math.min(kept.byteLength, ring.byteLength - at)
      ring.set(kept.subarray(0, first), at)
      ring.set(kept.subarray(first), 0)
      at = (at + kept.byteLength) % ring.byteLength
      held = Math.min(capacity, held + kept.byteLength)
    },
    take: () => {
      const start = held === 0 ? 0 : (at - held + ring.byteLength) % ring.byteLength
      const pieces = start + held <= ring.byteLength ? [ring.subarray(start, start + held)] : [ring.subarray(start), ring.subarray(0, held - (ring.byteLength - start))]
      const taken = { dropped, pieces: pieces.filter((piece) => piece.byteLength > 0) }
      ring = new Uint8Array(0)
      at = held = dropped = 0
      return taken
    },
  }
}
