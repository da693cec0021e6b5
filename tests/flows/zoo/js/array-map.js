/* inline: deadline; process: deadline */
export default () => [1].map(() => { for (;;); })
