using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Onggi.Sessions;

/// <summary>What a visitor shows to be known again: a secret. Redis never has it, logs never show it; <see cref="Reveal"/> gives it to whoever writes the cookie.</summary>
/// <remarks>
/// 54 characters of base64url: 22 that say under which user's sessions to look (a hash, no name), and 32 of 192 random bits. Redis has a SHA-256 of the whole text, so that any other
/// spelling of it is another id, and a copy of the database opens no session.
/// </remarks>
public readonly struct SessionId : IEquatable<SessionId>
{
    /// <summary>How many characters an id has.</summary>
    internal const int Length = PartitionLength + SecretLength;

    internal const int PartitionLength = 22;

    private const int SecretBytes = 24;
    private const int SecretLength = SecretBytes / 3 * 4;

    private static readonly SearchValues<char> Characters = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    );

    private readonly string? _text;

    private SessionId(string text) => _text = text;

    /// <summary>Whether there is none: what a failed <see cref="TryParse"/> leaves.</summary>
    public bool IsEmpty => _text is null;

    /// <summary>Under which user's sessions to look.</summary>
    internal ReadOnlySpan<char> Partition => Text.AsSpan(0, PartitionLength);

    private string Text => _text ?? throw new ArgumentException("The session id is empty. Pass one that CreateAsync or TryParse gave.");

    /// <summary>Reads what a visitor showed. Nobody is asked: an id that was never given out has the right form too.</summary>
    /// <param name="text">The text of a cookie or header; <c>null</c> where there was none.</param>
    /// <param name="id">The id; empty when it cannot be one.</param>
    /// <returns><c>false</c> when it cannot be an id: another length, or other characters.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out SessionId id)
    {
        id = default;
        if (text is not { Length: Length } || text.AsSpan().ContainsAnyExcept(Characters))
            return false;
        id = new SessionId(text);
        return true;
    }

    /// <summary>The secret itself, for the cookie. Keep it out of logs, addresses and error messages.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public string Reveal() => Text;

    /// <summary>Whether both are the same, in a time that does not depend on where they differ.</summary>
    public bool Equals(SessionId other) =>
        _text is null || other._text is null
            ? _text is null && other._text is null
            : CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(_text), Encoding.ASCII.GetBytes(other._text));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SessionId other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _text is null ? 0 : StringComparer.Ordinal.GetHashCode(_text);

    /// <summary>Whether both are the same.</summary>
    public static bool operator ==(SessionId left, SessionId right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(SessionId left, SessionId right) => !left.Equals(right);

    /// <summary>That it is a session id, and nothing of the secret.</summary>
    public override string ToString() => _text is null ? "no session id" : "a session id";

    /// <summary>A new one among a user's.</summary>
    internal static SessionId New(string partition)
    {
        Span<byte> secret = stackalloc byte[SecretBytes];
        RandomNumberGenerator.Fill(secret);
        Span<char> text = stackalloc char[Length];
        partition.CopyTo(text);
        Base64Url.EncodeToChars(secret, text[PartitionLength..]);
        CryptographicOperations.ZeroMemory(secret);
        return new SessionId(new string(text));
    }

    /// <summary>What Redis knows it by, without the characters that steer: 192 bits of SHA-256 of the text.</summary>
    internal void WriteHash(Span<byte> destination)
    {
        Span<byte> text = stackalloc byte[Length];
        Encoding.ASCII.GetBytes(Text, text);
        if (SessionMutants.PlainIds)
        {
            // mutant: what Redis has opens sessions.
            text[PartitionLength..].CopyTo(destination);
            return;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text, hash);
        Base64Url.EncodeToUtf8(hash[..SecretBytes], destination, out _, out _);
    }
}
