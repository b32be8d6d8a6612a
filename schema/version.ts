/** The one version of CLI, agent and coordinator; a test holds it against package.json. */
export const VERSION = '0.1.0'
