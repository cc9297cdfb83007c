using Onggi.Cli;

namespace Onggi.ServerTests.Cli;

/// <summary>The tool, run in this process.</summary>
internal static class ToolRun
{
    /// <summary>Where no Redis is; nobody waits long for it.</summary>
    public const string Nobody = "127.0.0.1:1,connectTimeout=300";

    /// <summary>One command line, with nobody at a terminal.</summary>
    public static Task<(int Code, string Output, string Error)> OfAsync(params string[] args) =>
        OfAsync(answers: null, CancellationToken.None, args);

    /// <summary>The same with somebody who types these answers, one a line; <c>null</c> for nobody.</summary>
    public static async Task<(int Code, string Output, string Error)> OfAsync(
        string? answers,
        CancellationToken cancellationToken,
        params string[] args
    )
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        using var input = answers is null ? null : new StringReader(answers);
        var code = await OnggiTool.RunAsync(args, output, error, input, cancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
