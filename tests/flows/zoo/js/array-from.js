/* inline: deadline memory error; process: deadline memory error */
export default () => Array.from({ length: 1e9 })
