using Onggi.Cli;

return await OnggiTool.RunAsync(args, Console.Out, Console.Error).ConfigureAwait(false);
