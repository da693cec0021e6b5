/* inline: error deadline; process: error */
export default () => { Object.setPrototypeOf(globalThis, {}) }
