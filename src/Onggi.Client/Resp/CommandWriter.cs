using System.Buffers.Text;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>A growing buffer of bytes to send, into which commands are written whole or not at all.</summary>
/// <param name="initial">How many bytes it begins with.</param>
/// <param name="keepAtMost">Above which size it is not kept for the next use.</param>
internal sealed class OutputBuffer(int initial = 4096, int keepAtMost = 1 << 20)
{
    private byte[] _bytes = new byte[initial];

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, Length);

    public Span<byte> GetSpan(int size)
    {
        if (_bytes.Length - Length < size)
            Grow(size);
        return _bytes.AsSpan(Length);
    }

    public void Advance(int count) => Length += count;

    /// <summary>Goes back to an earlier length: what was written since is not sent.</summary>
    public void Rewind(int length) => Length = length;

    public void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        Length += bytes.Length;
    }

    /// <summary>Begins again; a buffer that one large value has blown up is not kept.</summary>
    public void Clear()
    {
        Length = 0;
        if (_bytes.Length > keepAtMost)
            _bytes = new byte[initial];
    }

    private void Grow(int size)
    {
        var wanted = Math.Max((long)_bytes.Length * 2, (long)Length + size);
        Array.Resize(ref _bytes, (int)Math.Min(wanted, Array.MaxLength));
    }
}

/// <summary>Writes commands: <c>*2\r\n$3\r\nGET\r\n$4\r\nuser\r\n</c>.</summary>
internal static class CommandWriter
{
    // Throws on text that is not Unicode: two different broken names must not become the same key.
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Writes a whole command; the buffer is as before when it throws.</summary>
    /// <exception cref="ArgumentException">The command is empty, or a text in it is not valid Unicode.</exception>
    public static void Write(OutputBuffer output, in Command command)
    {
        var start = output.Length;
        try
        {
            if (command.Script is { } script)
                WriteScript(output, script, command.Keys, command.Args);
            else
                WriteArgs(output, command.Args);
        }
        catch (Exception error)
        {
            output.Rewind(start);
            if (error is EncoderFallbackException)
                throw new ArgumentException(
                    "A text in the command is not valid Unicode: a surrogate stands alone. Send bytes instead.",
                    error
                );
            throw;
        }
    }

    /// <summary>About how many bytes the command takes: exact in its arguments, generous in its headers.</summary>
    public static long Measure(in Command command)
    {
        var size = 128L;
        foreach (ref readonly var key in command.Keys)
            size += 16 + Measure(in key);
        foreach (ref readonly var arg in command.Args)
            size += 16 + Measure(in arg);
        return size;
    }

    private static long Measure(in RedisArg arg)
    {
        try
        {
            return arg.IsNumber ? arg.MostBytes : arg.ByteLength(Utf8);
        }
        catch (EncoderFallbackException)
        {
            // Writing it will say what is wrong.
            return 0;
        }
    }

    /// <summary>What stands in an EVAL where <see cref="RedisScript.EvalShaHead"/> stands in an EVALSHA.</summary>
    public static void WriteEvalHead(OutputBuffer output, RedisScript script)
    {
        output.Write(script.IsReadOnly ? "\r\n$7\r\nEVAL_RO\r\n"u8 : "\r\n$4\r\nEVAL\r\n"u8);
        WriteBytes(output, script.SourceBytes);
    }

    private static void WriteArgs(OutputBuffer output, ReadOnlySpan<RedisArg> args)
    {
        if (args.IsEmpty)
            throw new ArgumentException("A command needs at least its name.");
        WriteHeader(output, (byte)'*', args.Length);
        foreach (ref readonly var arg in args)
            WriteArg(output, in arg);
    }

    private static void WriteScript(OutputBuffer output, RedisScript script, ReadOnlySpan<RedisArg> keys, ReadOnlySpan<RedisArg> args)
    {
        var span = output.GetSpan(16);
        span[0] = (byte)'*';
        Utf8Formatter.TryFormat(3 + keys.Length + args.Length, span[1..], out var digits);
        output.Advance(1 + digits);
        output.Write(script.EvalShaHead);
        WriteArg(output, keys.Length);
        foreach (ref readonly var key in keys)
            WriteArg(output, in key);
        foreach (ref readonly var arg in args)
            WriteArg(output, in arg);
    }

    private static void WriteArg(OutputBuffer output, in RedisArg arg)
    {
        if (arg.IsNumber)
        {
            Span<byte> digits = stackalloc byte[32];
            var length = arg.WriteTo(digits, Utf8);
            WriteBytes(output, digits[..length]);
            return;
        }

        var exact = arg.ByteLength(Utf8);
        if (exact > RespLimits.Default.MaxLength)
            throw new ArgumentException(
                $"An argument of {exact} bytes is over the {RespLimits.Default.MaxLength} bytes that Redis takes in one."
            );
        WriteHeader(output, (byte)'$', exact);
        var span = output.GetSpan(exact + 2);
        arg.WriteTo(span, Utf8);
        "\r\n"u8.CopyTo(span[exact..]);
        output.Advance(exact + 2);
    }

    private static void WriteBytes(OutputBuffer output, ReadOnlySpan<byte> bytes)
    {
        WriteHeader(output, (byte)'$', bytes.Length);
        output.Write(bytes);
        output.Write("\r\n"u8);
    }

    private static void WriteHeader(OutputBuffer output, byte type, int number)
    {
        var span = output.GetSpan(16);
        span[0] = type;
        Utf8Formatter.TryFormat(number, span[1..], out var digits);
        "\r\n"u8.CopyTo(span[(1 + digits)..]);
        output.Advance(3 + digits);
    }
}
