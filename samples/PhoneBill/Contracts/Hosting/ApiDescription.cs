using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace PhoneBill.Contracts;

/// <summary>What <c>/openapi/v1.json</c> says of an endpoint.</summary>
public static class ApiDescription
{
    /// <summary>One sentence, what a good answer holds, and the other answers that callers must be ready for.</summary>
    public static RouteHandlerBuilder Answers<T>(this RouteHandlerBuilder endpoint, string summary, int status = StatusCodes.Status200OK) =>
        endpoint.WithSummary(summary).Produces<T>(status).Problems();

    /// <summary>One sentence for an endpoint whose good answer is empty.</summary>
    public static RouteHandlerBuilder AnswersNothing(this RouteHandlerBuilder endpoint, string summary) =>
        endpoint.WithSummary(summary).Produces(StatusCodes.Status204NoContent).Problems();

    private static RouteHandlerBuilder Problems(this RouteHandlerBuilder endpoint) =>
        endpoint
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status401Unauthorized)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
}
