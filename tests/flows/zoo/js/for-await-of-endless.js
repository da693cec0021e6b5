/* inline: deadline; process: deadline */
export default async () => { for await (const x of { *[Symbol.iterator]() { for (;;) yield 1 } }); }
