/* inline: deadline; process: deadline */
export default async () => { for (;;) await null }
