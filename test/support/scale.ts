/**
 * By how much tests with real processes divide the times of production: 20 in everyday runs, 1 for `npm run faults -- --full`.
 * One environment variable decides for agents, coordinators and deadlines alike, as half of them scaled would prove nothing.
 */
export const TIME_SCALE = Number(process.env['KEDGE_FAULTS_SCALE'] ?? 20)
/** How much longer a deadline of a test has to be than in an everyday run. */
export const STRETCH = Math.max(1, 20 / TIME_SCALE)
/** `ms` of production, as these tests live through them. */
export const scaled = (ms: number): number => ms / TIME_SCALE
