with source as (
    select * from omop.device_exposure
),

final as (
    select
        device_exposure_id,
        person_id,
        device_concept_id,
        device_source_value,
        device_type_concept_id,
        device_exposure_start_date,
        device_exposure_start_datetime,
        device_exposure_end_date,
        visit_occurrence_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
