using System.Security.Cryptography;
using System.Text;

namespace Onggi.Client;

/// <summary>A Lua script with its digest and the bytes that every call of it begins with.</summary>
/// <remarks>Make one per script and keep it: the digest is computed here, once.</remarks>
public sealed class RedisScript
{
    /// <summary>Takes the script's source and a name for messages and metrics.</summary>
    public RedisScript(string name, string source)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(source);
        Name = name;
        SourceBytes = Encoding.UTF8.GetBytes(source);
#pragma warning disable CA5350 // SHA-1 is the name under which Redis knows a script, not a protection.
        Digest = Convert.ToHexStringLower(SHA1.HashData(SourceBytes));
#pragma warning restore CA5350
        IsReadOnly = SaysThatItReads(source);
        EvalShaHead = Encoding.ASCII.GetBytes($"\r\n${ByDigest.Length}\r\n{ByDigest}\r\n$40\r\n{Digest}\r\n");
    }

    /// <summary>What messages and metrics call it.</summary>
    public string Name { get; }

    /// <summary>The SHA-1 of the source as 40 lower-case hexadecimal digits.</summary>
    public string Digest { get; }

    /// <summary>Whether its first line says that it changes nothing (<c>#!lua flags=no-writes</c>).</summary>
    /// <remarks>It is sent as EVALSHA_RO then: a user who may only read its keys may call it, and a server whose writes are paused answers it.</remarks>
    public bool IsReadOnly { get; }

    internal byte[] SourceBytes { get; }

    /// <summary>The command that names it by its digest.</summary>
    internal string ByDigest => IsReadOnly ? "EVALSHA_RO" : "EVALSHA";

    /// <summary>The command that brings it along.</summary>
    internal string BySource => IsReadOnly ? "EVAL_RO" : "EVAL";

    /// <summary>What follows <c>*N</c> in <c>*N\r\n$7\r\nEVALSHA\r\n$40\r\n&lt;digest&gt;\r\n</c>.</summary>
    internal byte[] EvalShaHead { get; }

    // The flags are a list between commas, after flags=, in the first line: https://redis.io/docs/latest/develop/interact/programmability/eval-intro/#script-flags
    private static bool SaysThatItReads(string source)
    {
        const string Flags = "flags=";
        var first = source.Split('\n', 2)[0].TrimEnd('\r');
        return first.StartsWith("#!lua", StringComparison.Ordinal)
            && first.Split(' ').FirstOrDefault(word => word.StartsWith(Flags, StringComparison.Ordinal)) is { } flags
            && flags[Flags.Length..].Split(',').Contains("no-writes", StringComparer.Ordinal);
    }
}
