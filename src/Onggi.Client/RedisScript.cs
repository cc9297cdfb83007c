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
        EvalShaHead = Encoding.ASCII.GetBytes($"\r\n$7\r\nEVALSHA\r\n$40\r\n{Digest}\r\n");
    }

    /// <summary>What messages and metrics call it.</summary>
    public string Name { get; }

    /// <summary>The SHA-1 of the source as 40 lower-case hexadecimal digits.</summary>
    public string Digest { get; }

    internal byte[] SourceBytes { get; }

    /// <summary>What follows <c>*N</c> in <c>*N\r\n$7\r\nEVALSHA\r\n$40\r\n&lt;digest&gt;\r\n</c>.</summary>
    internal byte[] EvalShaHead { get; }
}
