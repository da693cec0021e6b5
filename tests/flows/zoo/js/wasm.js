/* inline: error deadline; process: error */
export default () => new WebAssembly.Memory({ initial: 60000 })
