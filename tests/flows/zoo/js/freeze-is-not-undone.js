/* inline: error deadline; process: error */
export default () => { Array.prototype.map = null }
