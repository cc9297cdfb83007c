using System.Diagnostics.CodeAnalysis;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Transport;

/// <summary>Moves bytes between a <see cref="RespConnection"/> and its transport: one loop that reads, one sender at a time.</summary>
/// <remarks>
/// Sending never sleeps to collect more. A caller who is alone sends at once, on its own thread; otherwise one work item is queued behind the continuations that the last
/// read has set free, and sends what they have added by then. Measured here, that is worth several times the throughput of a send per command and costs a lone caller nothing.
/// </remarks>
internal sealed class ConnectionPump(RespConnection connection, ITransport transport, TimeProvider time) : IThreadPoolWorkItem
{
    // A large value goes out in parts, so that its progress is seen.
    private const int Part = 256 << 10;

    private string? _abortReason;
    private long _lastProgress = time.GetTimestamp();

    /// <summary>When bytes came in last, or a part of a large value went out, as a timestamp.</summary>
    public long LastProgress => Volatile.Read(ref _lastProgress);

    /// <summary>Reads until the connection ends; the reason why it did. Never throws.</summary>
    public async Task<(string Reason, Exception? Cause)> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var count = await transport.ReceiveAsync(connection.GetReceiveMemory(), cancellationToken).ConfigureAwait(Rt.Capture);
                if (count == 0)
                    return (_abortReason ?? "The server closed the connection.", null);
                Volatile.Write(ref _lastProgress, time.GetTimestamp());
                connection.OnReceived(count);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ("The client was disposed.", null);
        }
        catch (RespProtocolException error)
        {
            return ($"The server sent what is not RESP3 ({error.Message}).", error);
        }
        catch (Exception error)
        {
            // The top of the reading loop: whatever it was, the connection has ended, and its callers are told so.
            return (_abortReason ?? $"The connection was lost ({error.Message}).", error);
        }
    }

    /// <summary>Does what a newly queued command asks for.</summary>
    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Transport is where work meets the thread pool.")]
    public void OnEnqueued(FlushHint hint)
    {
        if (hint == FlushHint.Now)
            Flush();
        else if (hint == FlushHint.Soon)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Sends what is there until nothing is; only who owns sending calls it.</summary>
    public void Flush()
    {
        try
        {
            while (connection.TakeOutput(out var bytes))
            {
                var sending = bytes.Length <= Part ? transport.SendAsync(bytes, CancellationToken.None) : SendPartsAsync(bytes);
                if (!sending.IsCompletedSuccessfully)
                {
                    _ = FinishAsync(sending);
                    return;
                }

                sending.GetAwaiter().GetResult();
            }
        }
        catch (Exception error)
        {
            OnSendFailed(error);
        }
    }

    /// <summary>Ends the connection from our side; the reading loop reports <paramref name="reason"/>.</summary>
    public void Abort(string reason)
    {
        _abortReason ??= reason;
        transport.Abort();
    }

    void IThreadPoolWorkItem.Execute() => Flush();

    private async Task FinishAsync(ValueTask sending)
    {
        try
        {
            await sending.ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            OnSendFailed(error);
            return;
        }

        Flush();
    }

    private async ValueTask SendPartsAsync(ReadOnlyMemory<byte> bytes)
    {
        for (; !bytes.IsEmpty; bytes = bytes[Math.Min(Part, bytes.Length)..])
        {
            await transport.SendAsync(bytes[..Math.Min(Part, bytes.Length)], CancellationToken.None).ConfigureAwait(Rt.Capture);
            Volatile.Write(ref _lastProgress, time.GetTimestamp());
        }
    }

    // The reading loop is the one place where a connection ends; it is woken by the abort.
    private void OnSendFailed(Exception error) => Abort($"Sending failed ({error.Message}).");
}
