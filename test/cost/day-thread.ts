/** Lives through one day beside the others, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { DAYS, WHOLE_DAY } from './days.ts'
import { live } from './live.ts'

const day = DAYS.find(({ name }) => name === workerData)
if (day !== undefined) parentPort?.postMessage({ day: await live(day, WHOLE_DAY), sample: await live(day, day.sample) })
