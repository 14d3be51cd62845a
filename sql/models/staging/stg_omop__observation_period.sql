with source as (
    select * from omop.observation_period
),

final as (
    select
        observation_period_id,
        person_id,
        observation_period_start_date,
        observation_period_end_date,
        period_type_concept_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
