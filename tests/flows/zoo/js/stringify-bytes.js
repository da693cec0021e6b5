/* inline: deadline memory error; process: deadline memory error */
export default () => JSON.stringify(new Uint8Array(3e7)).length
