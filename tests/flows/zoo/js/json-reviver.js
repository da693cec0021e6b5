/* inline: deadline; process: deadline */
export default () => JSON.parse('[1]', () => { for (;;); })
