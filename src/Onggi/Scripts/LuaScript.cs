using System.Reflection;
using System.Text;
using Onggi.Client;

namespace Onggi.Scripts;

/// <summary>Reads the <c>.lua</c> files that stand beside the features and are embedded in this assembly.</summary>
/// <remarks>
/// A feature keeps each script in a <c>static readonly</c> field, so the text is read and its digest computed once per process.
/// Every file opens with a block of comments, one line per heading, in this order: <c>Purpose</c>, <c>Why a script</c>, <c>KEYS</c>, <c>ARGV</c>, <c>Returns</c>.
/// </remarks>
internal static class LuaScript
{
    private const string Extension = ".lua";

    /// <summary>The names of all embedded scripts, with their extension.</summary>
    public static IEnumerable<string> Names =>
        typeof(LuaScript).Assembly.GetManifestResourceNames().Where(name => name.EndsWith(Extension, StringComparison.Ordinal));

    /// <summary>Makes the script of an embedded file; its name for messages and metrics is the file's, without the extension.</summary>
    /// <exception cref="FileNotFoundException">No such file is embedded.</exception>
    public static RedisScript Load(string fileName) => Load(fileName, typeof(LuaScript).Assembly);

    /// <summary>The same, for what stands on these blocks and brings scripts of its own.</summary>
    public static RedisScript Load(string fileName, Assembly assembly) => new(fileName[..^Extension.Length], Source(fileName, assembly));

    /// <summary>The text of an embedded file.</summary>
    public static string Source(string fileName) => Source(fileName, typeof(LuaScript).Assembly);

    private static string Source(string fileName, Assembly assembly)
    {
        using var stream =
            assembly.GetManifestResourceStream(fileName)
            ?? throw new FileNotFoundException($"The script {fileName} is not embedded; it must be an EmbeddedResource of this project.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
