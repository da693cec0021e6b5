/* inline: error deadline; process: error */
export default () => new Promise(() => {})
