/* inline: deadline memory error; process: deadline memory error */
export default () => Object.keys(new Uint8Array(3e7)).length
