/* inline: error deadline; process: error */
export default () => { ({}).__proto__.leak = 1 }
