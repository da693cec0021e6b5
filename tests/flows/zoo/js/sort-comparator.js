/* inline: deadline; process: deadline */
export default () => [1, 2].sort(() => { for (;;); })
