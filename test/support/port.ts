/**
 * A port for a server that a test stops and starts again. One of those that the kernel gives to connections would not do:
 * while the server is away, a connection of another test can get it, or that of the very agent which knocks there; it then
 * talks to itself, and the server finds its address in use.
 */
import { createServer } from 'node:net'

/** Below those that Linux (from 32768) and macOS (from 49152) give to connections. */
const FROM = 12_000
const BELOW = 32_000

export async function portOfItsOwn(): Promise<number> {
  for (;;) {
    const port = FROM + Math.floor(Math.random() * (BELOW - FROM))
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => void server.close(() => resolve(true)))
  })
}
