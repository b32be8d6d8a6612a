/**
 * Loaded before an agent (`--import`): its wall clock differs from the machine's by as many milliseconds as the file named
 * by `KEDGE_CLOCK_FILE` says, read again all the time. Monotonic time is left alone, as it is when somebody sets a clock.
 */
import { readFileSync } from 'node:fs'

const file = process.env['KEDGE_CLOCK_FILE'] ?? ''
const now = Date.now.bind(Date)
let offset = 0
const look = (): void => {
  offset = Number(readFileSync(file, 'utf8'))
}
look()
setInterval(look, 20).unref()
Date.now = () => now() + offset
