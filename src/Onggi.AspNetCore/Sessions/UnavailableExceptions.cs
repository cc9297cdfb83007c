using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace Onggi.AspNetCore.Sessions;

/// <summary>Answers 503, where the application handles exceptions: not known is neither signed in nor signed out.</summary>
internal sealed class UnavailableExceptions : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is not OnggiUnavailableException)
            return false;
        httpContext.Response.Headers.RetryAfter = "1";
        httpContext.Response.Headers.CacheControl = "no-store";
        await Problems.WriteAsync(
            httpContext,
            Problems.Make(
                StatusCodes.Status503ServiceUnavailable,
                "It cannot be told now who you are",
                "Whether you are signed in could not be asked. Try again in a moment; signing in anew would not help."
            )
        );
        return true;
    }
}
