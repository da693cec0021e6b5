/* inline: error deadline; process: error */
export default () => { const a = {}; a.b = [a]; return a }
