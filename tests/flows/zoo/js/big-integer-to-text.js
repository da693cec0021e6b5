/* inline: error; process: error */
export default () => (2n ** 1048575n).toString().length
